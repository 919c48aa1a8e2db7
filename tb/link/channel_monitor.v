// How far apart what one chip sends and another one receives are: in time, and in schedule time.
//
// A word is known by its stamp: of the sender's last 1024 cycles it is the one with this HAC that is nearest to
// `latency` cycles ago. Least and most are of all idle words since `clear`; those of schedule time, the *lead* of
// the receiver, of those that left and came while both programs ran. In sums a word stands for all since the one before
// it, which were lost: means are those of the time in which words are sent.
`timescale 1fs/1fs
module channel_monitor #(
    parameter PERIOD = 256
) (
    input clear,
    input [15:0] latency,
    input sender_clk,
    input sender_on,
    input [63:0] sender_total,
    input [63:0] sender_began,
    input [63:0] sender_now,
    input receiver_clk,
    input receiver_on,
    input [63:0] receiver_total,
    input [63:0] receiver_began,
    input [63:0] receiver_now,
    input valid,
    input [127:0] word,
    output reg [31:0] count,
    output reg [63:0] transit_sum,
    output reg [31:0] transit_least,
    output reg [31:0] transit_most,
    output reg [31:0] lead_count,
    output reg signed [31:0] lead_least,
    output reg signed [31:0] lead_most
);
  reg [63:0] began[0:1023];
  reg [63:0] nows[0:1023];
  reg on[0:1023];
  reg [63:0] key, about, earlier, since;
  reg seen = 0;
  reg signed [31:0] lead;
  reg [31:0] transit;
  localparam [63:0] HALF = PERIOD / 2, MASK = PERIOD - 1;

  // Both at the end of a cycle, when its values have stood since its middle.
  always @(posedge sender_clk) begin
    began[sender_total[9:0]] = sender_began;
    nows[sender_total[9:0]] = sender_now;
    on[sender_total[9:0]] = sender_on;
  end

  always @(posedge receiver_clk) begin
    if (valid && word[7:0] == 0) begin
      about = sender_total - latency;
      key = about + ((word[47:32] - about + HALF) & MASK) - HALF;
      since = seen ? key - earlier : 0;
      earlier = key;
      seen = 1;
      count = count + since;
      transit = receiver_began - began[key[9:0]];
      transit_sum = transit_sum + transit * since;
      if (transit < transit_least) transit_least = transit;
      if (transit > transit_most) transit_most = transit;
      if (receiver_on && on[key[9:0]]) begin
        lead = receiver_now - nows[key[9:0]];
        lead_count = lead_count + 1;
        if (lead < lead_least) lead_least = lead;
        if (lead > lead_most) lead_most = lead;
      end
    end
    if (clear) begin
      seen = 0;
      count = 0;
      transit_sum = 0;
      transit_least = 32'hffffffff;
      transit_most = 0;
      lead_count = 0;
      lead_least = 32'h7fffffff;
      lead_most = -32'h7fffffff;
    end
  end
endmodule
