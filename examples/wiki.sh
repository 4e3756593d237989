#!/bin/sh
# A DokuWiki of its own at the port given, on PHP's server and in $TMPDIR: nothing of the system's wiki is touched.
set -eu
wiki=$TMPDIR/wiki
cp -rL /usr/share/dokuwiki "$wiki"
mkdir "$wiki/conf"
cp -L /etc/dokuwiki/*.conf /etc/dokuwiki/dokuwiki.php /etc/dokuwiki/license.php /etc/dokuwiki/mediameta.php \
    /etc/dokuwiki/manifest.json /etc/dokuwiki/plugins.php /etc/dokuwiki/plugins.required.php "$wiki/conf/"
for folder in attic cache index locks log media media_attic media_meta meta pages/animals tmp; do
    mkdir -p "$wiki/data/$folder"
done
# Debian points elsewhere for configuration and data.
cat >"$wiki/inc/preload.php" <<PHP
<?php
if (!defined('DOKU_CONF')) define('DOKU_CONF', '$wiki/conf/');
PHP
cat >"$wiki/conf/local.php" <<PHP
<?php
\$conf['title'] = 'Little wiki';
\$conf['savedir'] = '$wiki/data';
\$conf['useacl'] = 0;
\$conf['license'] = '';
PHP
printf '====== Start ======\nRead about [[animals:otter|the otter]] or [[animals:lynx|the lynx]].\n' >"$wiki/data/pages/start.txt"
printf '====== Otter ======\nThe otter swims and eats fish.\n' >"$wiki/data/pages/animals/otter.txt"
printf '====== Lynx ======\nThe lynx hunts at night.\n' >"$wiki/data/pages/animals/lynx.txt"
cd "$wiki"
# The search finds what is indexed.
php bin/indexer.php -q
exec php -q -S "127.0.0.1:$1" -t "$wiki"
