#!/usr/bin/env sh
# From a folder of pictures to a walk through what was learned. Run it where images/ is.
set -e
ganforge prepare ./images
ganforge train --arch pggan --max-res 256
ganforge interpolate --out walk.gif
