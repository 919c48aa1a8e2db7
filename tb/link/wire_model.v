// One direction of a link: a word in every cycle of the sender's clock arrives, with a clock of its own, after a delay.
//
// The delay is `delay` and a jitter within plus and minus `jitter_limit`, the sum of three equal numbers by chance, so its
// standard deviation is a third of the limit. It stays for `jitter_words` words, and to the end of a packet; then it is
// drawn anew. Words never overtake and never come closer than they were sent: where the delay becomes less, idle words
// that would are lost, and a vector's words wait until so many are.
//
// In `flipped` of 2^32 words up to `flips` bits are wrong. Of the vector that is number `spoilt` since reset, counted from
// 1, two bits of one code are, which cannot be corrected. While `cut` is high nothing gets through.
`timescale 1fs/1fs
module wire_model #(
    parameter SUPERLANES = 2
) (
    input clk,
    input rst,
    input [127:0] word,
    input [31:0] delay,
    input [31:0] jitter_limit,
    input [15:0] jitter_words,
    input [31:0] seed,
    input [31:0] flipped,
    input [3:0] flips,
    input [31:0] spoilt,
    input cut,
    output reg received_clk,
    output reg [127:0] received_word
);
  localparam SLOTS = 1024;
  reg [127:0] words[0:SLOTS-1];
  reg [63:0] arrivals[0:SLOTS-1];
  integer head = 0, tail = 0, remaining = 0, vectors = 0, stays = 0, i;
  reg [63:0] edge_time = 0, period = 0, last = 0, due, spaced;
  reg signed [63:0] jitter = 0;
  reg [31:0] random = 1;
  reg [127:0] wrong;
  reg begins, vector;
  reg seeded = 0;
  event pushed;

  // Marsaglia's xorshift: both simulators draw the same.
  task draw;
    begin
      random = random ^ (random << 13);
      random = random ^ (random >> 17);
      random = random ^ (random << 5);
    end
  endtask

  task draw_jitter;
    begin
      jitter = -98304;
      for (i = 0; i < 3; i = i + 1) begin
        draw;
        jitter = jitter + random[31:16];
      end
      jitter = jitter * $signed({1'b0, jitter_limit}) / 98304;
      stays = jitter_words;
    end
  endtask

  always @(posedge clk) begin
    period = $time - edge_time;
    edge_time = $time;
  end

  always @(negedge clk) begin
    if (!seeded) random = seed | 1;
    seeded = 1;
    begins = remaining == 0;
    vector = begins ? word[0] : 1'b1;
    if (begins && stays <= 0) draw_jitter;
    stays = stays - 1;
    vectors = rst ? 0 : vectors + (begins && vector);
    remaining = !begins ? remaining - 1 : (word[0] && !rst) ? SUPERLANES : 0;
    due = edge_time + delay + jitter;
    spaced = last + period;
    if (!cut && !rst && (vector || due >= spaced)) begin
      wrong = 0;
      if (flipped != 0) begin
        draw;
        if (random < flipped) begin
          for (i = 0; i < flips; i = i + 1) begin
            draw;
            wrong[random[30:24]] = 1;
          end
        end
      end
      if (begins && vector && vectors == spoilt) begin
        wrong[64] = !wrong[64];
        wrong[66] = !wrong[66];
      end
      last = due > spaced ? due : spaced;
      words[tail % SLOTS] = word ^ wrong;
      arrivals[tail % SLOTS] = last;
      tail = tail + 1;
      ->pushed;
    end
  end

  initial begin
    received_clk = 0;
    received_word = 0;
    forever begin
      while (head == tail) @(pushed);
      received_word = words[head % SLOTS];
      #(arrivals[head % SLOTS] - $time);
      received_clk = 1;
      head = head + 1;
      #(period * 2 / 5);
      received_clk = 0;
    end
  end
endmodule
