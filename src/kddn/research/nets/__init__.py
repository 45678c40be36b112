"""The networks of the paper: `Teacher` and `Student`, with their presets."""

from kddn.research.nets.student import STUDENT_PRESETS, Student, StudentConfig, StudentPreset
from kddn.research.nets.teacher import TEACHER_PRESETS, Teacher, TeacherConfig, TeacherPreset

__all__ = [
    "STUDENT_PRESETS",
    "TEACHER_PRESETS",
    "Student",
    "StudentConfig",
    "StudentPreset",
    "Teacher",
    "TeacherConfig",
    "TeacherPreset",
]
