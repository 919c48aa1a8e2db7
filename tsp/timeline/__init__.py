"""What a program does in every cycle: for the terminal, for a browser and for Perfetto."""
