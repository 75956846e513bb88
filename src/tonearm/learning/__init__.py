"""A personal model from music that is labelled already: everybody's genres are their own.

report = learning.learn("~/Music", "mine.npz")     # a head over what the shipped model hears, with its figures
tonearm.load("mine.npz").predict("song.mp3")       # used as any model, without scikit-learn
"""

from tonearm.learning.learn import Options, learn
from tonearm.learning.material import LearnError, Material
from tonearm.learning.study import Study, study

__all__ = ["LearnError", "Material", "Options", "Study", "learn", "study"]
