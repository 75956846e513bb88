"""The keywords of `training`, known without importing torch; a test holds them against training.Settings."""

TRAINING_KEYS = (
    "epochs", "batch_size", "optimizer", "learning_rate", "weight_decay", "momentum", "schedule", "plateau_patience",
    "plateau_factor", "warmup_epochs", "monitor", "stop_patience", "gradient_clip", "ema_decay", "label_smoothing",
    "class_weights", "precision", "augment",
)  # fmt: skip
