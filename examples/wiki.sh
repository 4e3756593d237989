#!/bin/sh
# A DokuWiki of its own in $TMPDIR, on PHP's server at the port given: nothing of the system's wiki is touched.
set -eu
cp -rL /usr/share/dokuwiki "$TMPDIR/wiki"
cd "$TMPDIR/wiki"
