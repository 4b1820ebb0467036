"""Parametric cartoon faces: `traits` says who, `portrait` and `hair` draw them, `brush` is what they draw with."""
