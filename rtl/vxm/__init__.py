"""VXM: an ALU of 16 lanes (:mod:`rtl.vxm.alu`), and the site with all ALUs of a superlane (:mod:`rtl.vxm.site`)."""

from rtl.vxm.alu import VxmAlu
from rtl.vxm.site import VxmSite

__all__ = ["VxmAlu", "VxmSite"]
