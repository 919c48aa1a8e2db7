// A sum as one carry chain. yosys would make trees of full adders of sums of sums, three times the LUTs in an ECP5,
// whose carry chain is beside every LUT.
(* techmap_celltype = "$add" *)
module open_tsp_add (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire [Y_WIDTH-1:0] x, carry;
  \$alu #(
    .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) _TECHMAP_REPLACE_ (.A(A), .B(B), .BI(1'b0), .CI(1'b0), .X(x), .Y(Y), .CO(carry));
endmodule
