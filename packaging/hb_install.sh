#!/bin/sh
# Installs, updates and takes back a Heartbeat agent, from a server or from a file, and serves as its
# `update.command`. What is installed was signed with the key that is given here: see docs/AGENTS.md.
# Also installs hbd, hbc or hbc-mini from a package or an archive, with SHA256SUMS and its .minisig beside it.
#
#   hb_install.sh install --server HOST --key RWQ... [--program hbc|hbc-mini] [--dir DIR] [--url URL]
#   hb_install.sh install --file BINARY --key RWQ... [--dir DIR]        offline; BINARY.minisig beside it
#   hb_install.sh install --file X.deb|X.ipk|X.tar.gz --key RWQ... [--program P] [--dir DIR]
#   hb_install.sh update  [the same]                                    refuses an older version
#   hb_install.sh undo    [--program P] [--dir DIR]                     the version before the last update
#
# A .deb that was installed is kept in /var/cache/heartbeat, with the one before it: undo goes back to that one, or
# removes the package. A router has no room for that: there undo removes it.
# As update.command: `command: [/etc/heartbeat/hb_install.sh, --key, RWQ...]`; the agent says the rest in HB_*.
set -eu

die() {
	echo "hb_install: $*" >&2
	exit 1
}

usage() {
	sed -n '2,16s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

action=
server=${HB_SERVER:-}
url=${HB_URL:-}
key=
program=${HB_PROGRAM:-}
exe=${HB_EXE:-}
dir=
file=
while [ $# -gt 0 ]; do
	case "$1" in
	install | update | undo) action=$1 ;;
	--server | --url | --key | --program | --dir | --file)
		[ $# -ge 2 ] || usage
		case "$1" in
		--server) server=$2 ;;
		--url) url=$2 ;;
		--key) key=$2 ;;
		--program) program=$2 ;;
		--dir) dir=$2 ;;
		--file) file=$2 ;;
		esac
		shift
		;;
	*) usage ;;
	esac
	shift
done
[ -n "$action" ] || { [ -n "$exe" ] && action=update || usage; }
[ -n "$program" ] || program=hbc
archive=
case "$file" in *.deb | *.ipk | *.tar.gz) archive=$file ;; esac
case "$program:$archive:$action" in
hbc:* | hbc-mini:* | hbd:?*:* | hbd::undo) ;;
*) die "the program is hbc or hbc-mini, or hbd from an archive, not $program" ;;
esac
if [ -n "$dir" ] || [ -z "$exe" ]; then
	exe=${dir:-/usr/local/bin}/$program
fi

# Packages that this script installed.
keep=${HB_KEEP:-/var/cache/heartbeat}

undo_package() {
	if [ -f "$keep/$program.deb" ]; then
		if [ -f "$keep/$program.old.deb" ]; then
			dpkg -i "$keep/$program.old.deb" || die "dpkg did not take $keep/$program.old.deb"
			mv -f "$keep/$program.old.deb" "$keep/$program.deb"
		else
			dpkg --remove "$program" || die "dpkg did not remove $program"
			rm -f "$keep/$program.deb"
		fi
		exit 0
	fi
	if [ ! -e "$exe" ] && command -v opkg >/dev/null 2>&1 && [ -n "$(opkg list-installed "$program")" ]; then
		opkg remove "$program" || die "opkg did not remove $program"
		exit 0
	fi
}

if [ "$action" = undo ]; then
	[ -n "$dir" ] || undo_package
	if [ -f "$exe.first" ] && [ ! -f "$exe.old" ]; then
		rm -f "$exe" "$exe.first"
		echo "$exe is gone: there was none before"
		exit 0
	fi
	[ -f "$exe.old" ] || die "$exe.old is not there: nothing to go back to"
	rm -f "$exe.trial"
	mv -f "$exe.old" "$exe" && sync
	echo "$exe is the version before the last update: $("$exe" --version)"
	exit 0
fi

# The name that this machine has among releases.
target() {
	system=$(uname -s | tr 'A-Z' 'a-z')
	[ "$system" = darwin ] && system=macos
	machine=$(uname -m)
	case "$machine" in
	x86_64 | amd64) machine=x86_64 ;;
	aarch64 | arm64) machine=aarch64 ;;
	armv7* | armv8l) machine=armv7 ;;
	mips)
		# Both byte orders say mips: the fifth byte of any program after the magic tells.
		order=$(dd if=/bin/sh bs=1 skip=5 count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
		[ "$order" = 1 ] && machine=mipsel
		;;
	esac
	echo "$system-$machine"
}

[ -n "$key" ] || die "--key is missing: the line that hbd sign --new-key printed"
target=$(target)
new=$exe.new
work=$(mktemp -d)
trap 'rm -rf "$work" "$new"' EXIT
trap 'exit 1' HUP INT TERM

get() {
	if command -v curl >/dev/null 2>&1; then
		curl -fsS --max-time 600 --max-filesize 67108864 -o "$2" "$1" || die "$1 cannot be fetched"
	elif command -v wget >/dev/null 2>&1; then
		wget -q -T 60 -O "$2" "$1" || die "$1 cannot be fetched"
	elif command -v uclient-fetch >/dev/null 2>&1; then
		uclient-fetch -q -T 60 -O "$2" "$1" || die "$1 cannot be fetched"
	else
		die "neither curl nor wget nor uclient-fetch is here; fetch by hand and use --file"
	fi
}

if [ -n "$archive" ]; then
	[ -f "$archive" ] || die "$archive is not there"
	file=$(dirname "$archive")/SHA256SUMS
	[ -f "$file" ] || die "$file is not there"
	new=$work/SHA256SUMS
fi
mkdir -p "$(dirname "$exe")"
rm -f "$new"
if [ -n "$file" ]; then
	[ -f "$file.minisig" ] || die "$file.minisig is not there"
	cp "$file.minisig" "$work/minisig"
	cp "$file" "$new" || die "$new cannot be written"
else
	[ -n "$url" ] || { [ -n "$server" ] || die "--server, --url or --file is missing"; url=http://$server:50004/agent/; }
	get "${url%/}/$program-$target.minisig" "$work/minisig"
	get "${url%/}/$program-$target" "$new"
fi

# One line of the signature file: 2 is the signature, 3 the trusted comment, 4 the signature of both.
line() {
	sed -n "${1}p" "$work/minisig" | tr -d '\r'
}

# Writes raw bytes: base64 text, first byte, count.
bytes() {
	printf '%s\n' "$1" | openssl base64 -d -A 2>/dev/null | dd bs=1 skip="$2" count="$3" 2>/dev/null
}

verify_with_openssl() {
	[ "$(line 3 | cut -c1-17)" = 'trusted comment: ' ] || return 1
	[ "$(bytes "$(line 2)" 0 2)" = ED ] || return 1
	[ "$(bytes "$(line 2)" 2 8 | od -An -tx1)" = "$(bytes "$key" 2 8 | od -An -tx1)" ] || return 1
	{ printf '\060\052\060\005\006\003\053\145\160\003\041\000' && bytes "$key" 10 32; } > "$work/public.der"
	bytes "$(line 2)" 10 64 > "$work/signature"
	b2sum "$new" | cut -d ' ' -f 1 | sed 's/../\\x&/g' > "$work/hex"
	# shellcheck disable=SC2059
	/usr/bin/printf "$(cat "$work/hex")" > "$work/digest"
	check "$work/digest" "$work/signature" || return 1
	{ cat "$work/signature" && line 3 | cut -c18- | tr -d '\n'; } > "$work/both"
	bytes "$(line 4)" 0 64 > "$work/global"
	check "$work/both" "$work/global"
}

check() {
	openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/public.der" -rawin -in "$1" -sigfile "$2" \
		>/dev/null 2>&1
}

if command -v minisign >/dev/null 2>&1; then
	minisign -Vqm "$new" -x "$work/minisig" -P "$key" >/dev/null || die "the signature does not fit the file"
elif command -v openssl >/dev/null 2>&1 && command -v b2sum >/dev/null 2>&1; then
	verify_with_openssl || die "the signature does not fit the file"
else
	die "to verify the signature, minisign is needed, or openssl (3.0) with b2sum"
fi

install_deb() {
	program=$(dpkg-deb --field "$archive" Package)
	version=$(dpkg-deb --field "$archive" Version)
	case "$program" in hbd | hbc | hbc-mini) ;; *) die "$name is a package of $program" ;; esac
	installed=$(dpkg-query -W -f '${Version}' "$program" 2>/dev/null || true)
	if [ "$action" = update ] && [ -n "$installed" ]; then
		dpkg --compare-versions "$version" gt "$installed" ||
			die "version $version is not newer than $installed, which is installed"
	fi
	dpkg -i "$archive" || die "dpkg did not take $name"
	mkdir -p "$keep"
	[ ! -f "$keep/$program.deb" ] || [ "$version" = "$installed" ] || mv -f "$keep/$program.deb" "$keep/$program.old.deb"
	cp "$archive" "$keep/$program.deb"
}

# The larger of two versions: numbers between dots; 1.2.0-rc.1 comes before 1.2.0.
newer() {
	[ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sed 's/-/~/' | {
		sort -V 2>/dev/null || sort -t . -k1,1n -k2,2n -k3,3n
	} | sed 's/~/-/' | tail -n 1)" = "$1" ]
}

# The sums are signed; the archive must be what they say.
install_archive() {
	name=$(basename "$archive")
	sum=$(sha256sum "$archive" | cut -d ' ' -f 1)
	grep -qxF -e "$sum  $name" -e "$sum *$name" "$new" || die "$name is not what SHA256SUMS says"
	case "$name" in
	*.deb) install_deb ;;
	*.ipk) opkg install "$archive" || die "opkg did not take $name" ;;
	*)
		tar -xzf "$archive" -C "$work"
		from=$work/${name%.tar.gz}/bin/$program
		[ -f "$from" ] || die "$name has no $program"
		"$from" --version >/dev/null 2>&1 || die "the $program of $name cannot be run on this machine"
		if [ "$action" = update ] && [ -x "$exe" ]; then
			running=$("$exe" --version 2>/dev/null | cut -d ' ' -f 2)
			version=$("$from" --version | cut -d ' ' -f 2)
			newer "$version" "$running" || die "version $version is not newer than $running, which is installed"
		fi
		if [ -f "$exe" ]; then
			cp -p "$exe" "$exe.old"
		else
			: > "$exe.first"
		fi
		cp "$from" "$exe.new" && chmod 755 "$exe.new" && sync && mv -f "$exe.new" "$exe"
		echo "$("$exe" --version) is installed as $exe"
		;;
	esac
}
if [ -n "$archive" ]; then
	install_archive
	exit 0
fi

comment=$(line 3 | cut -c18-)
version=$(printf '%s\n' "$comment" | cut -d ' ' -f 2)
[ "$comment" = "heartbeat $version $target" ] || die "it is signed as \"$comment\", this machine is $target"
if [ -n "${HB_VERSION:-}" ] && [ "$version" != "$HB_VERSION" ]; then
	die "it is version $version, $HB_VERSION was asked for"
fi
if [ -n "${HB_SIZE:-}" ] && [ "$(wc -c < "$new" | tr -d ' ')" != "$HB_SIZE" ]; then
	die "its size is not the one that was announced"
fi
if [ -n "${HB_SHA256:-}" ] && command -v sha256sum >/dev/null 2>&1; then
	[ "$(sha256sum "$new" | cut -d ' ' -f 1)" = "$HB_SHA256" ] || die "its SHA-256 is not the one that was announced"
fi

chmod 755 "$new"
"$new" --version >/dev/null 2>&1 || die "the new version cannot be run on this machine"
running=
if [ -x "$exe" ]; then
	running=$("$exe" --version 2>/dev/null | cut -d ' ' -f 2)
fi
if [ "$action" = update ] && [ -n "$running" ]; then
	newer "$version" "$running" || die "version $version is not newer than $running, which is installed"
fi
if [ -n "$running" ]; then
	rm -f "$exe.old"
	ln "$exe" "$exe.old" 2>/dev/null || cp -p "$exe" "$exe.old"
	# The agent takes the update back where no server acknowledges the new version in ten minutes.
	[ "$action" = update ] && [ -n "${HB_EXE:-}" ] && echo "$version $running 0 600" > "$exe.trial"
fi
[ -f "$exe" ] || : > "$exe.first"
sync
mv -f "$new" "$exe"
sync
echo "$program $version is installed as $exe${running:+, $running is kept as $exe.old}"
