"""Runs that end after a time of their processors."""

import time

from helpers import tiny
from kddn.research.nets.checkpoints import load_network
from kddn.research.training.clock import ProcessorTimer, processor_seconds
from kddn.research.training.run import train


def busy(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_pause_costs_nothing():
    timer = ProcessorTimer("00:00:00:10")
    assert timer.time_elapsed() == 0
    timer.on_train_start(None, None)
    began = processor_seconds()
    time.sleep(0.3)
    busy(0.1)
    passed = processor_seconds() - began
    assert passed <= timer.time_elapsed() < 0.2
    assert 9.8 < timer.time_remaining() <= 9.9


def test_a_resumed_run_has_what_is_left():
    first = ProcessorTimer("00:00:00:10")
    first.on_train_start(None, None)
    busy(0.1)
    resumed = ProcessorTimer("00:00:00:10")
    resumed.load_state_dict(first.state_dict())
    assert 0.1 <= resumed.time_elapsed() < 0.2
    first.on_train_end(None, None)
    ended = first.time_elapsed()
    busy(0.05)
    assert first.time_elapsed() == ended


def test_a_run_ends_when_its_time_is_up(nyu, tmp_path):
    given = [word for word in tiny(nyu, tmp_path) if "max_steps" not in word]
    timer = f"{ProcessorTimer.__module__}.{ProcessorTimer.__name__}"
    began = processor_seconds()
    weights = train(
        "teacher",
        [
            "--config=teacher",
            *given,
            "--model.network.class_path=kddn.research.nets.Teacher",
            "--model.network.init_args={config: {width: 4}}",
            "--trainer.max_epochs=-1",
            f"--trainer.callbacks={timer}",
            "--trainer.callbacks.init_args.duration=00:00:00:02",
        ],
    )
    assert processor_seconds() - began > 2
    load_network(weights)
