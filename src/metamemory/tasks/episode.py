"""The one type that every protocol of the study speaks: a batch of episodes, time first."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Episode:
    """A batch of episodes, all tensors on one device.

    Attributes:
        x: [time, batch, channel, height, width] inputs, float32 (ink 1, paper 0).
        y_seen: [time, batch] int64, the label shown together with x_t, which is y of step t - delay;
            -1 is the null label.
        y: [time, batch] int64, the target of step t; -1 where the step is not scored.
        shot: [time, batch] int64, how many samples of y_t's class have had their label shown by the time
            x_t is predicted. "k-shot accuracy" is the accuracy of the steps with shot == k.
    """

    x: Tensor
    y_seen: Tensor
    y: Tensor
    shot: Tensor
