// How far a chip's HAC is from the root's at the same time, in thousandths of a cycle and modulo the period.
`timescale 1fs/1fs
module phase_monitor #(
    parameter PERIOD = 256,
    parameter CYCLE = 1111111  // in fs
) (
    input clear,
    input root_clk,
    input [63:0] root_total,
    input [63:0] root_began,
    input [63:0] total,
    input [63:0] began,
    output reg [31:0] phase_count,
    output reg signed [63:0] phase_sum,
    output reg signed [31:0] phase_least,
    output reg signed [31:0] phase_most
);
  localparam signed [63:0] HALF = PERIOD * 500, WHOLE = PERIOD * 1000;
  reg signed [63:0] apart;
  always @(posedge root_clk) begin
    // Of the cycle that a chip is in, or was in until half a cycle ago, its monitor has number and beginning.
    apart = $signed(total - root_total) * 1000 + $signed(root_began - began) * 1000 / CYCLE;
    apart = apart % WHOLE;
    if (apart >= HALF) apart = apart - WHOLE;
    if (apart < -HALF) apart = apart + WHOLE;
    phase_count = phase_count + 1;
    phase_sum = phase_sum + apart;
    if (apart < phase_least) phase_least = apart;
    if (apart > phase_most) phase_most = apart;
    if (clear) begin
      phase_count = 0;
      phase_sum = 0;
      phase_least = 32'h7fffffff;
      phase_most = -32'h7fffffff;
    end
  end
endmodule
