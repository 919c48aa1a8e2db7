"""`python -m programs.resnet FOLDER`."""

from programs.resnet.network import main

main()
