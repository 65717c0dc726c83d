#compdef hbc-mini
# written by: hbd completions zsh hbc-mini
_hbc_mini() {
    local line state
    local -a subcommands
    subcommands=(
        'test-plugins:run each once, tell how it went'
        'doctor:try the way to a server'
        'check-config:tell what is wrong with the configuration'
        'print-config:every key of the configuration'
        'maintenance:plan this machine’s own; 0 ends it'
    )
    _arguments -C '-c[read this configuration]:FILE:_files' '--config[read this configuration]:FILE:_files' '-d[leave the terminal, log to syslog]' '--daemon[leave the terminal, log to syslog]' '-v[log more; twice, everything]' '--verbose[log more; twice, everything]' '-b[send boot on start and shutdown on exit]' '--boot-messages[send boot on start and shutdown on exit]' '--boot[send one boot message and exit]' '-m[send a message and exit; 0 acknowledged,]:TEXT: ' '--message[send a message and exit; 0 acknowledged,]:TEXT: ' '--once[collect once, send, tell what was acknowledged]' '--dry-run[collect once and print; send nothing]' '--install-service[have the init system start it]' '--update[fetch, verify and install the newest release]' '-h[this text]' '--help[this text]' '-V[the program’s version]' '--version[the program’s version]' '1: :->first' '*:: :->rest'
    case $state in
        first) _describe subcommand subcommands; _hosts ;;
        rest)
            case $line[1] in
                test-plugins) compadd -- os_info cpu_monitor memory_monitor disk_monitor network_monitor system_monitor ping_monitor filesystem_info nagios_runner zfs_monitor ;;
                doctor) _hosts ;;
                check-config) ;;
                print-config) compadd -- --defaults ;;
                maintenance) ;;
                *) _hosts ;;
            esac ;;
    esac
}
_hbc_mini "$@"
