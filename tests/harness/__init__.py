"""What the tests stand on: real servers, real stock peers, real processes to kill.

- `reactor`   run an async function on the one reactor of the test process
- `process`   a command in a session of its own; the `holdfast` command in a home of its own
- `forks`     how Python programs start: as forks of a process with all imports (`fork_server`)
- `quick`     commands that run as such forks, for a shell
- `server`    a mailbox server in a child process: kill it, pause it, look into its database
- `peers`     stock clients in child processes
- `scripted`  a stock client in this process that can be stopped between any two frames
- `moments`   where a process can be made to die, or to stand still; `victim` is that process
- `nursery`   many short lives of the command, each ended where a test wants it to end
- `aftermath` what must be true of a journal and a codes file, however its processes died
- `batch`     people who collect while the process that serves them dies and dies
- `streams`   what two ends of a dilated wormhole say to each other, each record known beforehand
- `dilated`   stock peers that dilate; `dilated_end` is ours, which dies (`dilations`)
- `cable`     a port that leads to another one, and can be cut
- `demo`, `soak`  are `make demo` and `make soak`
- `waiting`   until something is true, with a deadline
"""
