"""What is said: `model` finds the weights, `voice` where somebody speaks, `recogniser` the words, `sentences` their
lines; `inventions` drops what nobody said."""
