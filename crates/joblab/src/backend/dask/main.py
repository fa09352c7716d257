# Beside the crate: the process's start and end.

import warnings

import distributed
from distributed import Client, LocalCluster

AHEAD = 1 << 20  # Bytes of frames that are read before somebody has asked for them.
DAYS = 1e6  # Seconds.


async def connect(address, n_local):
    """A client of that cluster, or of one that is started for it."""
    check_versions(sys.executable, {"packages": {"distributed": distributed.__version__}})
    if address := address or dask.config.get("scheduler-address", None):
        place = {"scheduler_file" if os.path.isfile(address) else "address": address}
        return await Client(**place, asynchronous=True)
    cluster = await LocalCluster(
        n_workers=n_local,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        asynchronous=True,
    )
    return await Client(cluster, asynchronous=True)


async def main(address, n_local, n_jobs, entry, n_images):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is shared is large at times, and has to travel.
    warnings.filterwarnings("ignore", "Sending large graph")
    inlet, outlet = (socket.socket(fileno=os.dup(0)) for _ in range(2))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    reader, _kept = await asyncio.open_connection(sock=inlet, limit=AHEAD)
    # They are one socket, which must not keep who reads from it waiting in the system.
    outlet.settimeout(DAYS)
    out, frames, loop = outlet.makefile("wb"), asyncio.Queue(), asyncio.get_running_loop()

    def give_up():
        # However busy the rest is, this process does not outlive the crate's.
        time.sleep(5)
        os._exit(1)

    async def read():
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                begun = await reader.readexactly(struct.calcsize(HEADER))
                _, kind, length = struct.unpack(HEADER, begun)
                frames.put_nowait((kind, await reader.readexactly(length)))
        frames.put_nowait((None, b""))
        start(give_up)

    def watch(parent):
        # A fork of the crate's process may hold the socket open, and is not our parent.
        while os.getppid() == parent:
            time.sleep(0.5)
        loop.call_soon_threadsafe(frames.put_nowait, (None, b""))
        give_up()

    _reading = asyncio.ensure_future(read())
    start(watch, os.getppid())
    try:
        client = await connect(address, int(n_local))
        n_jobs = int(n_local if client.cluster else n_jobs)
        bridge = Bridge(frames, out, client, n_jobs, entry, int(n_images))
        await bridge.begin()
        both = [asyncio.ensure_future(it) for it in (bridge.work(), bridge.answer_all())]
        for ended in (await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED))[0]:
            ended.result()
        await client.close()
        if client.cluster:
            await client.cluster.close()
    except Exception as error:
        is_words = isinstance(error, CannotRun)
        words = str(error) if is_words else f"{type(error).__name__}: {error}"
        out.write(frame(REFUSED, words.encode()))
        out.flush()
        os._exit(1)
    os._exit(0)
