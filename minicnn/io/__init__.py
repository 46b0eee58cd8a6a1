"""Files in and out: what is read is treated as hostile, what is written appears whole or not at all."""
