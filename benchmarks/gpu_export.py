"""Write a training step's XLA program with its inputs and TensorFlow's loss."""

import json
import os


def main(options):
    """Write SIZE.hlo, SIZE.npz and SIZE.json for each size."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from benchmarks import larger
    from vimerge.cli.quiet import import_tensorflow

    import_tensorflow()
    options.output.mkdir(parents=True, exist_ok=True)
    for size in options.sizes:
        name = f"{size:.0e}".replace("e+0", "e")
        path = options.output / f"{name}.mtz"
        if not path.exists():
            print(f"simulating {path} …", flush=True)
            larger.write(path, size)
        step, arguments, variables, facts = training_step(path, options.objective, options.batch_size)
        facts |= write(step, arguments, variables, options.output / name)
        (options.output / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
        print(f"{options.output / name}: " + ", ".join(f"{key} {value}" for key, value in facts.items()), flush=True)


def training_step(path, objective=None, batch_size=None):
    """One training step of the default model on a file, as a function of tensors.

    Parameters
    ----------
    path : path
        Unmerged reflections.
    objective : str, optional
        The recipe's default if not given.
    batch_size : int, optional
        Observations of the batch; all if not given.

    Returns
    -------
    step : tf.function
        Compiled with XLA; gives the loss of the batch and changes the variables.
    arguments : list of tf.Tensor
        The batch.
    variables : list of tf.Variable
        What it captures, in the order of the program's parameters after the arguments.
    facts : dict
    """
    import keras
    import tensorflow as tf

    from vimerge import Reflections
    from vimerge.merging import recipe, set_seed
    from vimerge.merging.flat_adam import FlatAdam

    reflections = Reflections.read(path, anomalous=True)
    set_seed(0)
    model = recipe.make_model(reflections, seed=0)
    model.objective = objective or default_objective()
    plan = recipe.PLANS[model.objective]
    batch = next(iter(reflections.dataset(batch_size, seed=0, by=plan.by, static=True)))
    model.compile(FlatAdam(keras.optimizers.schedules.CosineDecay(0.01, 1000), beta_2=0.99))
    model.optimizer.build(model.trainable_variables)
    names = sorted(batch)

    @tf.function(jit_compile=True)
    def step(*tensors):
        return model.train_step(dict(zip(names, tensors, strict=True)))["loss"]

    arguments = [tf.constant(batch[name].numpy()) for name in names]
    concrete = step.get_concrete_function(*arguments)
    known = {id(variable.handle): variable for variable in concrete.graph.variables}
    variables = [known.get(id(captured), captured) for captured in concrete.captured_inputs]
    return (
        step,
        arguments,
        variables,
        {
            "observations": int(batch["iobs"].shape[0]),
            "reflections": len(reflections.asu),
            "objective": model.objective,
            "network": f"{sum(v.shape.num_elements() for v in model.scaling.trainable_variables):,} parameters",
            "tensorflow": tf.__version__,
        },
    )


def default_objective():
    """What the recipe trains its own default model with."""
    from vimerge.merging.recipe import PLANS

    return next(iter(PLANS))


def write(step, arguments, variables, stem):
    """Write the program and its inputs, then run it once in TensorFlow.

    Returns
    -------
    dict
        The loss, and the bytes of program, arguments and variables.
    """
    import numpy as np

    values = [tensor.numpy() for tensor in arguments]
    state = [np.array(variable) for variable in variables]
    program = step.experimental_get_compiler_ir(*arguments)(stage="hlo_serialized")
    stem.with_suffix(".hlo").write_bytes(program)
    np.savez(stem.with_suffix(".npz"), *values, *state)
    return {
        "program_bytes": len(program),
        "batch_bytes": sum(value.nbytes for value in values),
        "state_bytes": sum(value.nbytes for value in state),
        "arguments": len(values),
        "loss": float(step(*arguments)),
    }
