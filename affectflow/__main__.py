"""``python -m affectflow``: the console command."""

from affectflow.command import main

main()
