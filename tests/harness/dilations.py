"""The moments of a dilated wormhole; see `moments`. Imported by the program that dies.

- `save`: the application's commit. `during`: the new file is written and has not its name yet
- `say-please`, `say-hints`, `say-reconnect`, `say-reconnecting`: a control message is decided on,
  in an entry whose commit follows; `add` is then its frame, `hear-dilate-N` the peer's
- `choose`: a connection is chosen, whose KCM is not written; `link`: it is, and is the kernel's
- `send-KINDS`: records of these kinds go out at once, such as `send-ack+data`; after: they are the
  kernel's, as far as it takes them
- `got-KINDS`: such records have come, and are not looked at, or are
- `make`: a record of a plan is made
- `took`: a protocol of ours gets a record
"""

import moments


def install(fate):
    """Put `fate` around all that happens to a dilated wormhole."""
    import streams

    from holdfast.dilation import channels, control, greeting, link, records, traffic
    from holdfast.shell import dilating

    def kinds(plaintexts):
        names = {type(records.read(each)).__name__.lower() for each in plaintexts}
        return "+".join(sorted(names))

    def flush(link, _plaintexts):
        moments.flush(link.transport)

    def said(_dilating, body):
        return f"say-{type(control.read(body)).__name__.lower()}"

    def sending(_link, plaintexts):
        return f"send-{kinds(plaintexts)}"

    def got(_traffic, _link, plaintexts, **_):
        return f"got-{kinds(plaintexts)}"

    moments.install_mailbox(fate)
    around = moments.around
    around(fate, dilating.Dilating, "say", said)
    around(fate, greeting.NoiseGreeting, "choose", lambda *_: "choose")
    around(
        fate,
        traffic.Traffic,
        "begin",
        lambda *_: "link",
        lambda _traffic, socket: moments.flush(socket.transport),
    )
    around(fate, link.Link, "send", sending, flush)
    around(fate, traffic.Traffic, "got", got)
    around(fate, channels.Channels, "make", lambda *_: "make")
    around(fate, streams.Talk, "dataReceived", lambda *_: "took")
