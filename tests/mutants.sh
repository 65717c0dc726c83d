#!/usr/bin/env bash
# Breaks one guard of the alert path at a time, in a copy of the tree, and expects a test to notice.
#
#   tests/mutants.sh [FIRST [LAST]]      numbers as printed; all by default
#
# Prints a line for each mutant and the survivors; exits 1 if there is one, or if one could not be applied.
# Bounded: at most 5 minutes for each test of a mutant, once it is compiled. MUTANTS_TARGET_DIR must not be shared with another tree.
set -euo pipefail
first=${1:-1} last=${2:-999}
tree=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -C "$tree" --exclude=./target --exclude=./.git -cf - . | tar -C "$copy" -xf -
cd "$copy"
export CARGO_TARGET_DIR=${MUTANTS_TARGET_DIR:-$copy/target} CARGO_INCREMENTAL=1 HB_SIM_SEEDS=${HB_SIM_SEEDS:-16}

number=0 killed=0 survivors=()
passes() { # CARGO TEST ARGUMENTS: whether these tests pass
  cargo test -q --no-run "$@" >"$copy/.log" 2>&1 && timeout 300 cargo test -q "$@" >"$copy/.log" 2>&1
}
mutant() { # NAME FILE SED
  number=$((number + 1))
  if ((number < first || number > last)); then return; fi
  cp "$2" "$copy/.before"
  sed -i -E "$3" "$2"
  if cmp -s "$2" "$copy/.before"; then
    survivors+=("$number $1 (could not be applied)")
    echo "$number ? $1: the line is not there any more"
    return
  fi
  local verdict=killed
  # The quickest killer first. What takes long to compile is not killed by that.
  if passes --test scenarios && passes --test simulation && passes --lib engine::; then
    verdict=SURVIVED
    survivors+=("$number $1")
  elif grep -q '^error: could not compile' "$copy/.log"; then
    verdict="does not compile"
    survivors+=("$number $1 (does not compile)")
  else
    killed=$((killed + 1))
  fi
  echo "$number $verdict: $1"
  cp "$copy/.before" "$2"
}

e=src/engine
mutant 'hysteresis is not held'            src/alert/level.rs 's/let mut to = rule\.held\(from, value\);/let mut to = rule.held(Level::Ok, value);/'
mutant 'a fall is told'                    src/alert/level.rs 's/to > from => Some\(NoticeKind::Raised\)/to >= from || to > Level::Ok => Some(NoticeKind::Raised)/'
mutant 'for is ignored'                    src/alert/level.rs 's/>= rule\.hold \{/>= rule.hold || true {/'
mutant 'short outages are told'            $e/outbox/trouble.rs 's/SHORT: Duration = Duration::from_secs\(4\)/SHORT: Duration = Duration::from_secs(0)/'
mutant 'longer outages are withdrawn'      $e/outbox/trouble.rs 's/SHORT: Duration = Duration::from_secs\(4\)/SHORT: Duration = Duration::from_secs(9)/'
mutant 'DOWN and UP are not merged'        $e/outbox/delivery.rs 's/let merged = matches!\(trouble\.subject, Subject::Outage \{ \.\. \}\);/let merged = false;/'
mutant 'UP is told to nobody'              $e/outbox/mod.rs 's/if !heard\.is_empty\(\) \{/if false \&\& !heard.is_empty() {/'
mutant 'isolation though one was heard'    $e/outage.rs 's/enough && self\.last_valid < first/enough/'
mutant 'isolation of two'                  $e/outage.rs 's/silent >= share\.max\(self\.config\.isolation_hosts as usize\)/silent >= 2/'
mutant 'isolation does not hold'           $e/tell.rs 's/host\.shutdown \|\| !self\.is_isolated\(\)/true/'
mutant 'isolation is told at once'         $e/outage.rs 's/let hold_until = listening \+ self\.config\.isolation_hold;/let hold_until = listening;/'
mutant 'the child does not wait'           $e/liveness.rs 's/record\.is_over\(listening\) && self\.waits_for_parents\(id\)/false/'
mutant 'one dead parent is enough'         $e/outage.rs 's/&& parents\.all\(\|name\|/\&\& parents.any(|name|/'
mutant 'no reprieve behind a parent'       $e/outage.rs 's/record\.reprieve = Some\(listening \+ record\.patience\.down_after\);/record.reprieve = None;/'
mutant 'unreachable is told'               $e/tell.rs 's/host\.state != State::Unreachable$/true/'
mutant 'deafness moves no deadline'        $e/mod.rs 's/self\.deaf \+= lateness;//'
mutant 'a restart gives no deadline'       $e/saved.rs 's/            heard: listening,/            heard: Mono::ZERO,/'
mutant 'flapping one early'                $e/outage.rs 's/None if count > limit as usize/None if count >= limit as usize/'
mutant 'flapping does not silence'         $e/tell.rs 's/&& record\.flapping\.is_none\(\)$//'
mutant 'silences are ignored'              $e/tell.rs 's/!host\.watch \|\| self\.quiet\(.*\)\.is_quiet\(\)/!host.watch/'
mutant 'watch is ignored'                  $e/tell.rs 's/!host\.watch \|\| self\.quiet/self.quiet/'
mutant 'alerts of a dead host are told'    $e/tell.rs 's/Subject::Alert \{ \.\. \} => !matches!.*$/Subject::Alert { .. } => true,/'
mutant 'no limit a minute'                 $e/outbox/policy.rs 's/per_minute: config\.notify_per_minute\.max\(1\) as usize/per_minute: 1000/'
mutant 'acknowledged is reminded of'       $e/metric.rs 's/if self\.calendar\.acknowledged\(&alert_id\(&subject\)\)\.is_some\(\) \{/if false {/'
mutant 'stale after one interval'          $e/metric.rs 's/STALE_INTERVALS: u32 = 3/STALE_INTERVALS: u32 = 1/'
mutant 'dead hosts keep fresh alerts'      $e/liveness.rs 's/self\.make_stale\(id\);//'
mutant 'nothing is passes up'              $e/request.rs 's/matches!\(change, Change::Ended\(_\)\)/false/'
mutant 'a rise in the dark is lost'        $e/metric.rs 's/            if untold \{/            if false \&\& untold {/'
mutant 'the untold is not saved'           $e/roster.rs 's/untold: record\.untold\.iter\(\)/untold: record.untold.iter().take(0)/'
mutant 'steps are taken twice'             $e/host.rs 's/self\.done >> step\.min\(63\) & 1 == 1/false/'
mutant 'a removed rule is escalated'        $e/metric.rs 's/self\.forget\(Some\(id\), &subject\);//'
mutant 'spooled samples raise'             $e/receive.rs 's/if plg\.age_ms\.is_none\(\) \{/if true {/'
mutant 'resent messages are told'          $e/host.rs 's/if self\.mids\.contains\(&mid\) \{/if false {/'
mutant 'an ACK longer than its request'    $e/receive.rs 's/len\.min\(bytes\.len\(\)\)/bytes.len()/; s/written == 0 \|\| written > len/written == 0/; s/debug_assert!\(written <= len.*$//'
mutant 'ghosts are not bounded'            $e/admit.rs 's/ghosts_max \{$/usize::MAX {/'
mutant 'laptops say goodbye loudly'        $e/liveness.rs 's/was_gone \|\| declared\.is_some_and\(\|d\| d\.intermittent\)/was_gone/'
mutant 'DOWN is reminded of while ACKed'   $e/liveness.rs 's/self\.calendar\.acknowledged\(&format!\("\{host\}\/host"\)\)\.is_some\(\)/false/'
mutant 'down a second early'               $e/link.rs 's/down_after: interval \* misses \+ grace/down_after: interval * misses + grace - Duration::from_secs(1)/'

echo "$killed killed, ${#survivors[@]} not"
if ((${#survivors[@]} > 0)); then
  printf 'survivor: %s\n' "${survivors[@]}"
  exit 1
fi
