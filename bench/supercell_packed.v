// A supercell with two columns in one 64-bit multiplication: w0 + (w1 << 32), times an activation, keeps both products
// apart. A simulator multiplies half as often. Ports and behaviour are those of rtl/mxm/supercell.py.

module supercell_packed (
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
  reg signed [63:0] weight[0:127];  // 16*j + i: outputs 2*j and 2*j + 1
  reg signed [63:0] sum;
  integer i, j;

  always @(posedge clk) begin
    if (activate)
      for (j = 0; j < 8; j = j + 1) begin
        sum = 0;
        for (i = 0; i < 16; i = i + 1) sum = sum + weight[16*j+i] * $signed(activation[8*i+:8]);
        psum_out[64*j+:32] <= psum_in[64*j+:32] + sum[31:0];
        // A negative low half has borrowed one from the high half.
        psum_out[64*j+32+:32] <= psum_in[64*j+32+:32] + sum[63:32] + {31'b0, sum[31]};
      end
    if (install)
      for (j = 0; j < 8; j = j + 1)
        for (i = 0; i < 16; i = i + 1)
          weight[16*j+i] <= {{56{buffer[32*j+i][7]}}, buffer[32*j+i]}
              + {{24{buffer[32*j+16+i][7]}}, buffer[32*j+16+i], 32'b0};
    if (load) for (i = 0; i < 256; i = i + 1) buffer[i] <= load_data[8*i+:8];
  end
endmodule
