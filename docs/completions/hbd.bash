# bash completion of hbd, written by: hbd completions bash
_hbd() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} sub= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -c|--config|--server|--ca-file|--color|--columns|--watch|--limit|--host|--since|--ttl|--value|--until|--for|--scope|--user|--reason|--start|--zone|--end|--key|--new-key) ((i++)) ;;
            -*) ;;
            *) sub=${COMP_WORDS[i]}; break ;;
        esac
    done
    COMPREPLY=()
    case $prev in
        -c|--config|--ca-file|--key|--new-key) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        --color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$cur"); return ;;
    esac
    local words=
    case $sub in
        '') words='check-config help status hosts host events alerts explain ack unack silence unsilence maintenance ghosts dns drop watch journal run commands upgrade key sign passwd token notify-test init completions man reload --config --foreground --with-agent --verbose --quiet --limits --help --version' ;;
        check-config) words='--config --verbose --quiet --print --help --version' ;;
        help) words='--config --verbose --quiet --help --version' ;;
        status) words='--config --verbose --quiet --server --ca-file --json --color --check --help --version' ;;
        hosts) words='--config --verbose --quiet --server --ca-file --json --jsonl --csv --color --columns --names --watch --help --version' ;;
        host) words='--config --verbose --quiet --server --ca-file --json --color --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        events) words='--config --verbose --quiet --server --ca-file --json --jsonl --csv --color --follow --limit --since --help --version' ;;
        alerts) words='--config --verbose --quiet --server --ca-file --json --jsonl --csv --color --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        explain) words='--config --verbose --quiet --server --ca-file --json --color --value --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        ack) words='--config --verbose --quiet --server --ca-file --color --until --reason --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        unack) words='--config --verbose --quiet --server --ca-file --color --help --version' ;;
        silence) words='--config --verbose --quiet --server --ca-file --color --for --reason --help --version' ;;
        unsilence) words='--config --verbose --quiet --server --ca-file --color --help --version' ;;
        maintenance) words='--config --verbose --quiet --server --ca-file --json --color --for --reason --start --zone --list --end --help --version' ;;
        ghosts) words='--config --verbose --quiet --server --ca-file --json --jsonl --csv --color --help --version accept ignore' ;;
        dns) words='--config --verbose --quiet --server --ca-file --color --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        drop) words='--config --verbose --quiet --server --ca-file --color --yes --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        watch) words='--config --verbose --quiet --server --ca-file --color --help --version on off'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        journal) words='--config --verbose --quiet --json --host --since --help --version verify cat stats' ;;
        run) words='--config --verbose --quiet --server --ca-file --json --color --wait --ttl --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        commands) words='--config --verbose --quiet --server --ca-file --json --color --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        upgrade) words='--config --verbose --quiet --server --ca-file --color --help --version'; [[ $cur == -* ]] || words+=" $(timeout 0.3 hbd hosts --names 2>/dev/null)" ;;
        key) words='--config --verbose --quiet --json --help --version new add' ;;
        sign) words='--config --verbose --quiet --key --new-key --help --version' ;;
        passwd) words='--config --verbose --quiet --help --version' ;;
        token) words='--config --verbose --quiet --server --ca-file --color --for --scope --user --help --version' ;;
        notify-test) words='--config --verbose --quiet --server --ca-file --json --color --help --version' ;;
        init) words='--config --verbose --quiet --help --version' ;;
        completions) words='--config --verbose --quiet --help --version bash zsh fish hbc hbc-mini' ;;
        man) words='--config --verbose --quiet --help --version' ;;
        reload) words='--config --verbose --quiet --server --ca-file --color --help --version' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _hbd hbd
