"""What a command of the command line does, from request to answer: opens a world, sets the agent to work, reports."""
