"""What is checked, by area. run.py plays all of it."""
