"""Questions over HTTP: one small server over an index, with uploads and feedback that survive a kill."""

from polyspan.serving.app import create_app
from polyspan.serving.collection import Collection
from polyspan.serving.feedback import FeedbackStore
from polyspan.serving.options import ServeOptions

__all__ = ["Collection", "FeedbackStore", "ServeOptions", "create_app"]
