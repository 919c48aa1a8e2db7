"""Speed and size, behind ``make bench``: ratios within one run, so that they hold on any machine."""
