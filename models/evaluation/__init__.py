"""From predictions to scores, intervals and tests: pure functions over tables, without torch."""
