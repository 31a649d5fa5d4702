"""One question, many sites: plans out, aggregates back."""
