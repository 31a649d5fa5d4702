"""The mathematics: each statistic is typed sums and pure functions on them."""
