"""What a teacher's vectors say of the genre of each training track: softer targets than one label.

The label of a track is what its artist chose; a classifier that learnt from other artists' tracks says how much else
the track sounds like. To learn from what is known in training alone and not when asked is distillation of privileged
information (Lopez-Paz et al. 2016).
"""

from __future__ import annotations

import numpy as np

FOLDS = 5


def out_of_fold(vectors: np.ndarray, labels: np.ndarray, artists: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(tracks, classes) probabilities; those of `rows` from an SVM that saw no track of the artist, others are 0."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    n_classes = len(np.unique(labels))
    scores = np.zeros((len(rows), n_classes))
    for learn, judge in folds.split(rows, labels[rows], artists[rows]):
        machine = make_pipeline(StandardScaler(), SVC(C=1.0, decision_function_shape="ovr"))
        machine.fit(vectors[rows[learn]], labels[rows[learn]])
        scores[judge] = machine.decision_function(vectors[rows[judge]])
    found = np.zeros((len(labels), n_classes), np.float32)
    found[rows] = LogisticRegression(max_iter=1000).fit(scores, labels[rows]).predict_proba(scores)
    return found
