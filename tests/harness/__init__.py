"""What the tests stand on: real servers, real stock peers, real processes to kill.

- `reactor`   run an async function on the one reactor of the test process
- `process`   a command in a session of its own; the `holdfast` command in a home of its own,
              which can be made to kill itself at a chosen step
- `server`    a mailbox server in a child process: kill it, pause it, look into its database
- `peers`     stock clients in child processes
- `scripted`  a stock client in this process that can be stopped between any two frames
- `waiting`   until something is true, with a deadline
"""
