// A supercell as one writes it by hand: the same ports and behaviour as rtl/mxm/supercell.py. `make bench` measures the
// generated one against it.

module supercell_loop (
    input clk,
    input rst,
    input load,
    input [2047:0] load_data,
    input install,
    input activate,
    input [127:0] activation,
    input [511:0] psum_in,
    output reg [511:0] psum_out
);
  reg signed [7:0] buffer[0:255];  // 16*j + i: from input i to output j
  reg signed [7:0] weight[0:255];
  reg signed [31:0] sum;
  integer i, j;

  always @(posedge clk) begin
    if (activate)
      for (j = 0; j < 16; j = j + 1) begin
        sum = psum_in[32*j+:32];
        for (i = 0; i < 16; i = i + 1) sum = sum + weight[16*j+i] * $signed(activation[8*i+:8]);
        psum_out[32*j+:32] <= sum;
      end
    if (install) for (i = 0; i < 256; i = i + 1) weight[i] <= buffer[i];
    if (load) for (i = 0; i < 256; i = i + 1) buffer[i] <= load_data[8*i+:8];
  end
endmodule
