"""What is written in the picture: `text_reader` reads a still, `lines` joins what several stills show."""
