"""What is done to NATS as a whole and to the workers behind it: start and restart."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model import JSON, Approval, Change, Plan, Refused, ServiceError, Unreachable
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.control import ServiceControl, ServiceStatus
from tools.nats.client import NatsReader, NatsWriter, Unanswered
from tools.nats.kind import nats
from tools.nats.readings import jetstream
from tools.shapes import mapping, number, text

WORKERS = "workers"


def control_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The service control's command, as it stands in the key."""
    return [text(mapping(key).get("command"))]


async def read_answers(client: NatsReader, key: JSON) -> JSON:
    """Whether it answers at all."""
    try:
        await client.get("varz")
    except Unreachable:
        return {"answers": False}
    return {"answers": True}


async def start(client: NatsWriter, change: Change) -> None:
    """The start command of its service control."""
    await ServiceControl(client.service).run("start")


async def started(client: NatsReader, change: Change) -> bool:
    """Whether it answers and says that it is well."""
    try:
        return (await client.get("healthz")).get("status") == "ok"
    except ServiceError:
        return False


starting = nats.action(
    "nats-start",
    read=read_answers,
    do=start,
    check=started,
    steps=control_steps,
    verification="/healthz says ok.",
    no_undo="A started server is not stopped again; stop it by hand if it must not run.",
    timeout=60.0,
    patience=30.0,
)


@nats.remediation(approval=Approval.SOFT, uses=(starting,))
async def start_nats(client: NatsReader) -> Plan:
    """Start NATS, which refuses connections because it does not run.

    Refused when it is silent instead, for then it runs or the way to it is blocked.
    """
    control = ServiceStatus(client.service)
    try:
        await client.get("varz")
        return nothing_to_do("NATS answers.")
    except Unanswered as error:
        if error.state != "refused":
            raise Refused(error.what, "It is there and does not answer: look at its log.") from None
    if await control.running():
        raise Refused("The service manager says that it runs.", "Compare its monitoring port; look at its log.")
    change = starting.change(
        client.service.name,
        {"command": control.step("start")},
        {"answers": False},
        {"answers": True},
        why="Nothing listens on its monitoring port, and the service manager says that it is stopped.",
    )
    return plan_of("Start NATS.", change, risk="Clients connect again by themselves; file streams are as they were.")


async def read_run(client: NatsReader, key: JSON) -> JSON:
    """Which run of the server this is: it has a new id after every start."""
    return {"server_id": text((await client.get("varz")).get("server_id"))}


async def restart(client: NatsWriter, change: Change) -> None:
    """The restart command of its service control."""
    await ServiceControl(client.service).run("restart")


async def restarted(client: NatsReader, change: Change) -> bool:
    """Whether another run of the server answers and is well."""
    try:
        another = await read_run(client, change.key) != change.before
    except ServiceError:
        return False
    return another and await started(client, change)


restarting = nats.action(
    "nats-restart",
    read=read_run,
    do=restart,
    check=restarted,
    steps=control_steps,
    verification="/varz shows another server_id, and /healthz says ok.",
    no_undo="A restart cannot be taken back.",
    timeout=60.0,
    patience=30.0,
)


@nats.remediation(approval=Approval.HARD, uses=(restarting,))
async def restart_nats(client: NatsReader) -> Plan:
    """Restart NATS through its service control.

    Refused while memory streams hold messages, for a restart loses the streams and the messages.
    """
    control, server, stored = ServiceStatus(client.service), await client.get("varz"), await jetstream(client)
    lost = [each for each in stored.streams if not each.on_disk and each.messages]
    if lost:
        names = ", ".join(each.name for each in lost[:5])
        raise Refused(f"A restart would lose the memory streams {names}.", "Let them be read empty or copied first.")
    clients = number(server.get("connections"))
    change = restarting.change(
        client.service.name,
        {"command": control.step("restart")},
        {"server_id": text(server.get("server_id"))},
        {"answers": True},
        why="Asked for.",
        observed={"connections": clients},
    )
    cut = counted(clients, "client is cut off and connects", "clients are cut off and connect")
    risk = f"{cut} again; publishers may see errors."
    return plan_of("Restart NATS.", change, risk=risk)


async def read_worker(client: NatsReader, key: JSON) -> JSON:
    """Whether the service manager says that the worker runs."""
    return {"running": await _worker(client, key).running()}


def _worker(client: NatsReader, key: JSON) -> ServiceStatus:
    return ServiceStatus(client.service, (WORKERS, str(mapping(key).get("consumer"))))


async def start_worker(client: NatsWriter, change: Change) -> None:
    """The start command of the worker's service control."""
    await ServiceControl(client.service, (WORKERS, str(mapping(change.key).get("consumer")))).run("start")


async def worker_works(client: NatsReader, change: Change) -> bool:
    """Whether it runs and its consumer no longer stands still."""
    stream, name = mapping(change.key).get("stream"), mapping(change.key).get("consumer")
    after = client.number("stalled_after_seconds", 60.0)
    consumers = [each for each in (await jetstream(client)).consumers if (each.stream, each.name) == (stream, name)]
    moving = bool(consumers) and not consumers[0].stalled(after)
    return moving and await _worker(client, change.key).running()


working = nats.action(
    "nats-worker",
    read=read_worker,
    do=start_worker,
    check=worker_works,
    steps=control_steps,
    verification="The worker runs, and /jsz shows its consumer being asked for messages.",
    no_undo="Messages that the worker has done stay done; stop it by hand if it must not run.",
    timeout=60.0,
    patience=20.0,
)


@nats.remediation(approval=Approval.SOFT, uses=(working,))
async def start_nats_worker(client: NatsReader, stream: str, consumer: str) -> Plan:
    """Start the worker of a consumer that stands still because its worker has stopped.

    The option `workers` says how. Refused when the worker runs: then it hangs or reads from
    elsewhere, and a start would change nothing.

    Args:
        stream: the stream's name.
        consumer: the consumer's name, which is the worker's name in the config.
    """
    found = (await jetstream(client)).consumer(stream, consumer)
    control = ServiceStatus(client.service, (WORKERS, consumer))
    if found.attended:
        return nothing_to_do(f"A worker waits on {consumer}.")
    if await control.running():
        raise Refused(f"The worker of {consumer} runs already.", "Look at its log: it hangs or reads from elsewhere.")
    waiting = counted(found.pending, "message waits", "messages wait")
    change = working.change(
        client.service.name,
        {"stream": stream, "consumer": consumer, "command": control.step("start")},
        {"running": False},
        {"running": True},
        why=f"{waiting} in {stream}, and the worker of {consumer} is stopped.",
        observed={"pending": found.pending, "idle_seconds": found.idle},
    )
    risk = f"It begins with what waits, oldest first: {counted(found.pending, 'message')}."
    return plan_of(f"Start the worker of {consumer}.", change, risk=risk)
