"""Compile exported training steps through JAX's runtime, check their loss, and time them on the device there is.

JAX has no public way to run an XLA program that it has not made; the private names used here are those of JAX 0.10
and 0.11.
"""

import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

# Copies of the inputs are used in turn until they are together larger than any cache.
CACHE_BYTES = 256 * 2**20
MOST_COPIES = 8


def main(options):
    """Run every program of a folder."""
    import jax

    # The counters of optimiser and random numbers have 64 bits, which JAX would cut.
    jax.config.update("jax_enable_x64", True)
    device = jax.devices()[0]
    bandwidth = copy_bandwidth(device)
    print(f"{device.device_kind} ({device.platform}), JAX {jax.__version__}")
    print(f"a copy on the device reads and writes {bandwidth / 1e9:,.0f} GB/s together")
    programs = sorted(options.folder.glob("*.hlo"), key=lambda path: float(path.stem))
    if not programs:
        raise FileNotFoundError(f"There is no program in {options.folder}; write some: python -m benchmarks gpu export")
    results = []
    for path in programs:
        facts = json.loads(path.with_suffix(".json").read_text())
        with np.load(path.with_suffix(".npz")) as saved:
            inputs = [saved[name] for name in saved.files]
        result = measure(compiled(path.read_bytes()), inputs, options.steps, options.top)
        moved = 2 * (facts["batch_bytes"] + facts["state_bytes"])
        result |= {
            "floor_ms": 1e3 * moved / bandwidth,
            "loss_tensorflow": facts["loss"],
            **{name: facts[name] for name in ("observations", "reflections", "objective")},
        }
        results.append(result)
        print(
            f"{facts['observations']:,} observations, {facts['objective']}: {result['ms']:.3f} ms a step "
            f"({result['ms_low']:.3f} … {result['ms_high']:.3f}), floor {result['floor_ms']:.3f} ms; "
            f"compiled in {result['compile_s']:.1f} s; loss {result['loss']:.7g}, TensorFlow's {facts['loss']:.7g}",
            flush=True,
        )
        for name, share, milliseconds in result["kernels"]:
            print(f"  {100 * share:3.0f} %  {milliseconds:8.3f} ms  {name}")
    (options.folder / f"results-{device.platform}.json").write_text(
        json.dumps({"device": device.device_kind, "bandwidth": bandwidth, "steps": results}, indent=1) + "\n"
    )


def compiled(program):
    """An executable of a serialized XLA program, and the seconds that compiling it took."""
    from jax._src import xla_bridge
    from jax._src.lib import xla_client
    from jaxlib import _jax

    if hasattr(_jax.mlir, "hlo_to_stablehlo"):
        module = _jax.mlir.hlo_to_stablehlo(program)
    else:
        module = _jax.mlir.xla_computation_to_mlir_module(xla_client.XlaComputation(program))
    backend = xla_bridge.get_backend()
    started = time.perf_counter()
    devices = _jax.DeviceList(tuple(backend.local_devices()[:1]))
    executable = backend.compile_and_load(module, devices, xla_client.CompileOptions())
    return executable, time.perf_counter() - started


def measure(program, inputs, steps, top):
    """Milliseconds of a step: the median and the quartiles of many, its loss, and the costliest kernels."""
    import jax

    executable, seconds = program
    device = jax.devices()[0]
    copies = int(min(MOST_COPIES, max(1, np.ceil(CACHE_BYTES / sum(a.nbytes for a in inputs)))))
    sets = [[jax.device_put(a, device) for a in inputs] for _ in range(copies)]
    jax.block_until_ready(sets)

    def step(number):
        inputs = sets[number % copies]
        loss, *state = executable.execute(inputs)
        jax.block_until_ready(state)
        # The program may write the new state in place of the old, which is then gone.
        given_up = [i for i, array in enumerate(inputs) if array.is_deleted()]
        if given_up:
            for i, array in zip(given_up, state, strict=True):
                inputs[i] = array
        return loss

    loss = float(np.asarray(step(0)))
    for number in range(3):
        step(number)
    times = []
    for number in range(steps):
        started = time.perf_counter()
        step(number)
        times.append(1e3 * (time.perf_counter() - started))
    low, middle, high = statistics.quantiles(times, n=4)
    return {
        "ms": middle,
        "ms_low": low,
        "ms_high": high,
        "compile_s": seconds,
        "loss": loss,
        "kernels": kernels(step, top),
    }


def kernels(step, top, steps=5):
    """The costliest kernels of a step: (name, share of all of them, milliseconds a step), by JAX's profiler.

    Parameters
    ----------
    step : callable
        Takes its number.
    top, steps : int
        How many to give, and how many steps to trace.

    Returns
    -------
    list of tuple
        Empty if the profiler has no events of the device.
    """
    import jax
    from jax.profiler import ProfileData

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for number in range(steps):
                step(number)
        data = ProfileData.from_file(str(next(Path(folder).rglob("*.xplane.pb"))))
    spent = defaultdict(float)
    for plane in data.planes:
        if plane.name.startswith("/device:GPU"):
            lines = [line for line in plane.lines if line.name.startswith("Stream")]
        elif plane.name.startswith("/host:CPU"):
            lines = [line for line in plane.lines if "XLA" in line.name]
        else:
            continue
        for line in lines:
            for event in line.events:
                # On a CPU, the loop that calls the kernels is an event that has them all in it.
                if not event.name.startswith("ThunkExecutor"):
                    spent[event.name] += event.duration_ns * 1e-6 / steps
    total = sum(spent.values())
    ordered = sorted(spent.items(), key=lambda item: -item[1])[:top]
    return [(name, value / total, value) for name, value in ordered]


def copy_bandwidth(device, size=2**30):
    """Bytes a second that a copy of an array on the device reads and writes, the best of several."""
    import jax
    import jax.numpy as jnp

    size = size if device.platform != "cpu" else size // 4
    array = jax.device_put(np.zeros(size // 4, np.float32), device)
    copy = jax.jit(lambda x: x + jnp.float32(1.0))
    copy(array).block_until_ready()
    best = np.inf
    for _ in range(10):
        started = time.perf_counter()
        copy(array).block_until_ready()
        best = min(best, time.perf_counter() - started)
    return 2 * array.nbytes / best
