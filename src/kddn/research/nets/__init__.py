"""The networks: the paper's `Teacher` and `Student`, and `UNet`, with their presets."""

from kddn.research.nets import baselines as baselines  # which registers them
from kddn.research.nets.student import STUDENT_PRESETS, Student, StudentConfig
from kddn.research.nets.teacher import TEACHER_PRESETS, Teacher, TeacherConfig
from kddn.research.nets.unet import UNET_PRESETS, UNet, UNetConfig

__all__ = [
    "STUDENT_PRESETS",
    "TEACHER_PRESETS",
    "UNET_PRESETS",
    "Student",
    "StudentConfig",
    "Teacher",
    "TeacherConfig",
    "UNet",
    "UNetConfig",
]
