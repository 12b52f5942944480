"""The learning rate as a function of epoch and iteration, and of nothing else."""

GAMMA = 0.1  # one decay


def learning_rate(
    epoch, iteration, *, base_lr, iterations, total_epoch, step_size, warmup_epoch, poly_decay=False
):
    """Rate of the trunk for one optimizer step.

    epoch counts from 1, iteration from 0 within the epoch of `iterations` steps.
    Warm-up: linear from 0 over the steps of the first `warmup_epoch` epochs. Then
    x0.1 after every `step_size` epochs counted from the start, or with
    `poly_decay` (1 - progress) ** 0.9 from the base rate down to 0, which is reached
    when the last step is done. Equal to the reference's schedule, whose warm-up
    divides by total + 1e-8 and so ends a trace below the base rate.
    """
    step = (epoch - 1) * iterations + iteration
    warmup = warmup_epoch * iterations
    if step < warmup:
        return base_lr * step / (warmup + 1e-8)
    peak = base_lr * warmup / (warmup + 1e-8) if warmup else base_lr
    if poly_decay:
        return peak * (1 - (step - warmup) / (total_epoch * iterations - warmup)) ** 0.9
    return peak * GAMMA ** ((epoch - 1) // step_size)
