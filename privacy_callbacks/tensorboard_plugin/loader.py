"""What TensorBoard finds by the entry point: it must import where nothing but TensorBoard is installed, and never fail."""

from __future__ import annotations

import logging
from typing import Any

from tensorboard.plugins import base_plugin

_PLUGIN = "privacy"


class PrivacyLoader(base_plugin.TBLoader):
    """Loads the Privacy tab; where that fails TensorBoard starts without it."""

    def fix_flags(self, flags: Any) -> None:
        """Keeps every step of the plugin's series, unless the user said how many: both of TensorBoard's loaders drop some."""
        kept = getattr(flags, "samples_per_plugin", None)
        if isinstance(kept, dict):
            kept.setdefault(_PLUGIN, 0)  # 0 = all

    def load(self, context: Any) -> Any:
        """The plugin, or None."""
        try:
            from .privacy_plugin import PrivacyPlugin

            return PrivacyPlugin(context)
        except Exception:
            logging.getLogger("tensorboard").exception(
                "The Privacy tab cannot be shown; TensorBoard starts without it."
            )
            return None
