// A clock in femtoseconds, which starts when told to, wanders slowly, and stands still while told to.
`timescale 1fs/1fs
module clock_source(
    input run,
    input stop,
    input [31:0] phase,         // from `run` to the first rising edge
    input [31:0] half,          // of a period, without wander
    input [7:0] wander,         // the half period goes to and fro by so much,
    input [31:0] wander_edges,  // and changes by 1 in so many edges
    output reg clk
);
  integer offset = 0, step = 1, edges = 0;

  initial begin
    clk = 0;
    wait (run);
    #(phase);
    forever begin
      wait (!stop);
      clk = ~clk;
      if (wander != 0) begin
        edges = edges + 1;
        if (edges >= wander_edges) begin
          edges = 0;
          if (offset >= $signed({1'b0, wander})) step = -1;
          if (offset <= -$signed({1'b0, wander})) step = 1;
          offset = offset + step;
        end
      end
      #(half + offset);
    end
  end
endmodule
