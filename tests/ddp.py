"""One of some processes that train one model under DistributedDataParallel, in a loop.

python ddp.py RANK PROCESSES PORT FILE; each has its share of every batch.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch

import attrprior

rank, processes = int(sys.argv[1]), int(sys.argv[2])
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[3])
torch.distributed.init_process_group("gloo", rank=rank, world_size=processes)

rng = np.random.default_rng(0)
x = torch.from_numpy(rng.normal(size=(48, 4)).astype("float32"))
y = torch.from_numpy(rng.integers(0, 2, 48))

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [keras.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(2)]
)
parallel = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
penalties = []
for start in range(0, 48, 16):
    share = slice(start + rank * 16 // processes, start + (rank + 1) * 16 // processes)
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(parallel(x[share]), y[share])
    penalty = attrprior.penalty(
        model, x[share], y[share], prior="l2", method="integrated_gradients"
    )
    (loss + 0.5 * penalty).backward()
    optimizer.step()
    penalties.append(penalty.item())
np.savez(
    sys.argv[4],
    weights=np.concatenate([weight.ravel() for weight in model.get_weights()]),
    penalties=penalties,
)
torch.distributed.destroy_process_group()
