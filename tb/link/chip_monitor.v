// What a bench knows of a chip that the chip does not: HAC and schedule time without end, and when its cycles began.
//
// It is also the chip's only program, begun anew by `start`: a DESKEW, or with `polls` a POLL that waits for `ready` and a
// RECEIVE of what came (`take`), then a SEND in schedule cycle `send_at`, and a RUNTIME_DESKEW of `stall` in every
// `segment` cycles of schedule time (none if 0). docs/architecture.md, section 6; docs/links.md, section 3. With `forced`
// it steps the HAC by chance, in so many of 256 cycles about an epoch's end and in a RUNTIME_DESKEW; SEED says which.
`timescale 1fs/1fs
module chip_monitor #(
    parameter PERIOD = 256,
    parameter [31:0] SEED = 1
) (
    input clk,
    input rst,
    input [15:0] hac,
    input carry,
    input signed [11:0] delta,
    input start,
    input polls,
    input ready,
    input [15:0] send_at,
    input [31:0] segment,
    input [15:0] stall,
    input [7:0] forced,
    output align,
    output absorb,
    output hac_fast,
    output hac_slow,
    output send,
    output take,
    output reg running,
    output reg stalled,       // this cycle is none of schedule time
    output reg [63:0] now,    // schedule time
    output reg [63:0] total,  // the HAC, counted on; it is there from the middle of its cycle to that of the next
    output reg [63:0] began,  // when that cycle did
    output reg [63:0] first_total,  // of the first cycle of schedule time
    output reg [31:0] resyncs,
    output reg [31:0] slips,  // cycles in which schedule time was not HAC + delta, or the epochs not those of the HAC
    output reg [159:0] steps  // forced in HAC 0, 1, PERIOD - 2, PERIOD - 1 and in a RUNTIME_DESKEW: 32 bits each
);
  reg waiting, was_running;
  reg [15:0] hac_before;
  reg signed [31:0] left;
  reg [63:0] next, epochs, cycle_began;
  reg [31:0] random = SEED;
  wire signed [31:0] wait_cycles = $signed({16'b0, stall}) + delta;
  // What is there in the last cycle of an epoch counts.
  assign align = waiting && carry && (ready || !polls);
  assign send = running && !stalled && now == send_at;
  assign take = polls && running && !stalled && now == 0;
  assign absorb = running && !stalled && segment != 0 && now == next;

  wire forcible = stalled || hac < 2 || hac >= PERIOD - 2;
  assign hac_fast = forcible && random[7:0] < forced && random[8];
  assign hac_slow = forcible && random[7:0] < forced && !random[8];

  always @(posedge clk) begin
    cycle_began <= $time;
    random <= {random[30:0], random[31] ^ random[21] ^ random[1] ^ random[0]};
    if (rst) begin
      waiting <= 0;
      running <= 0;
      stalled <= 0;
      now <= 0;
      resyncs <= 0;
      epochs <= 0;
      steps <= 0;
    end else begin
      if (carry) epochs <= epochs + 1;
      if (hac_fast || hac_slow) begin
        if (hac == 0) steps[31:0] <= steps[31:0] + 1;
        if (hac == 1) steps[63:32] <= steps[63:32] + 1;
        if (hac == PERIOD - 2) steps[95:64] <= steps[95:64] + 1;
        if (hac == PERIOD - 1) steps[127:96] <= steps[127:96] + 1;
        if (stalled) steps[159:128] <= steps[159:128] + 1;
      end
      if (start) begin
        waiting <= 1;
        running <= 0;
        stalled <= 0;
      end else if (align) begin
        waiting <= 0;
        running <= 1;
        now <= 0;
        next <= segment;
      end else if (absorb) begin
        next <= next + segment;
        left <= wait_cycles - 1;
        stalled <= wait_cycles > 0;
        if (wait_cycles <= 0) now <= now + 1 + stall;
        resyncs <= resyncs + 1;
      end else if (stalled) begin
        left <= left - 1;
        stalled <= left != 0;
        if (left == 0) now <= now + 1 + stall;
      end else if (running) now <= now + 1;
    end
  end

  always @(negedge clk) begin
    began = cycle_began;
    if (rst) begin
      total = 0;
      slips = 0;
      was_running = 0;
    end else begin
      total = total + ((hac - hac_before) & (PERIOD - 1));
      if (running && !was_running) first_total = total;
      was_running = running;
      if (running && !stalled && now - (total - first_total) != {{52{delta[11]}}, delta}) slips = slips + 1;
      if (epochs != total / PERIOD) slips = slips + 1;
    end
    hac_before = hac;
  end
endmodule
