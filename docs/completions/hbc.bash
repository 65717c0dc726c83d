# bash completion of hbc, written by: hbd completions bash hbc
_hbc() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} sub= words= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -c|--config|-m|--message) ((i++)) ;;
            -*) ;;
            *) sub=${COMP_WORDS[i]}; break ;;
        esac
    done
    COMPREPLY=()
    case $prev in
        -c|--config) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    esac
    case $sub in
        '') words='test-plugins doctor check-config print-config maintenance wrap --config --daemon --verbose --boot-messages --boot --message --once --dry-run --install-service --update --help --version'; [[ $cur == -* ]] || words+=" $(compgen -A hostname -- "$cur")" ;;
        test-plugins) words='os_info cpu_monitor memory_monitor disk_monitor network_monitor system_monitor ping_monitor filesystem_info nagios_runner zfs_monitor' ;;
        doctor) words=$(compgen -A hostname -- "$cur") ;;
        check-config) words='' ;;
        print-config) words='--defaults' ;;
        maintenance) words='' ;;
        wrap) return ;;
        *) words='--config --daemon --verbose --boot-messages --boot --message --once --dry-run --install-service --update --help --version' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _hbc hbc
