"""Flows and tasks, as their authors write them."""

from typing import Any

from attrs import field

from holdfast import Call, Flow, flow, new_flow, task


@flow("typing", appid="example.com/typing")
class Hello(Flow):
    user: str
    greeting: str = "hello"
    answers: list[str] = field(factory=list, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()
        self.publish(user=self.user, answers=len(self.answers))
        self.perform("typing", user=self.user)
        self.wake_at(self.now() + 60)

    def wormhole_got_message(self, message: bytes) -> None:
        self.answers.append(message.decode())
        self.finish()

    def typing_done(self, result: Any) -> None:
        self.wormhole.send_message(result.encode())


def made() -> None:
    hello = Hello(user="ann", greeting="hi")
    new_flow("ann", hello, relay="ws://relay.example.com/v1", appid=Hello.appid)
    Hello(user=3)  # refused: incompatible type "int"; expected "str"
    Hello()  # refused: Missing named argument "user"
    Hello("ann")  # refused: Too many positional arguments
    Hello(user="ann", answers=[])  # refused: Unexpected keyword argument "answers"
    Hello(usr="ann", user="ann")  # refused: Unexpected keyword argument "usr"
    new_flow("ann", "bob", relay="", appid="")  # refused: expected "Flow"


class Asks(Flow):
    def started(self) -> None:
        self.publish(names=["ann"])  # refused: incompatible type "list[str]"
        self.wake_at("soon")  # refused: incompatible type "str"; expected "float | None"
        self.execute("INSERT INTO greeted VALUES (1)")  # refused: expected "Executable"
        self.perform(task="typing", user="ann")
        self.perform(greet, user="ann")
        self.perform(3)  # refused: incompatible type "int"
        self.fail()  # refused: Missing positional argument "reason"
        self.wormhole.get_message()  # refused: has no attribute "get_message"


class Returns(Flow):
    def started(self) -> int:  # refused: incompatible with return type "None" in supertype
        return 1


@flow("typing-nameless")  # refused: Missing named argument "appid"
class Nameless(Flow):
    pass


@flow("typing-flowless", appid="x")
class Flowless:  # refused: cannot be "Flowless"
    pass


@task("typing", tries=3, at_once=10, timeout=5.0, blocks=True)
def greet(call: Call) -> str:
    return str(call.arguments["user"]) + call.key


@task("typing-of-more")  # refused: incompatible type "Callable[[Call, int], str]"
def with_more(call: Call, more: int) -> str:
    return ""


@task("typing-of-text")  # refused: incompatible type "Callable[[str], str]"
def with_text(call: str) -> str:
    return call


@task("typing-often", tries="3")  # refused: incompatible type "str"; expected "int"
def often(call: Call) -> None:
    pass


@task  # refused: incompatible type
def nameless(call: Call) -> None:
    pass
