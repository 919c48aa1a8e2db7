// Lattice ECP5's 9x9 multiplier, which yosys does not know: half of a MULT18X18D site. Unregistered, and only the ports that
// mult9x9d_map.v uses; the rest, clocks and cascades, is left open. Source: Lattice, "FPGA Libraries Reference Guide".
module MULT9X9D (
    input A0, A1, A2, A3, A4, A5, A6, A7, A8,
    input B0, B1, B2, B3, B4, B5, B6, B7, B8,
    input C0, C1, C2, C3, C4, C5, C6, C7, C8,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17
);
  // 10 bits with the sign, or a zero, in front.
  wire signed [9:0] a = {SIGNEDA & A8, A8, A7, A6, A5, A4, A3, A2, A1, A0};
  wire signed [9:0] b = {SIGNEDB & B8, B8, B7, B6, B5, B4, B3, B2, B1, B0};
  wire signed [19:0] p = a * b;
  assign {P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = p[17:0];
endmodule
