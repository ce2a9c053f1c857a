# Completes the command line of importwatch: asks the program what may stand there, and writes it so that
# the shell takes it for one word and runs nothing of it, whatever quote is open.
_importwatch() {
    local rest=${COMP_LINE:0:COMP_POINT} words=() piece= head= last=-1 i

    # Bash also cuts at = and :, but what stands together is one word.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        head=
        if ((last >= 0)) && [[ $rest != [[:space:]]* ]]; then
            head=${words[last]}
        else
            rest=${rest#"${rest%%[![:space:]]*}"}
            ((last += 1))
        fi
        piece=${COMP_WORDS[i]}
        ((i < COMP_CWORD)) || piece=$rest
        rest=${rest#"$piece"}
        words[last]=$head$piece
    done
    # Right behind such a cut, the next piece begins.
    if [[ $piece == [=:] ]]; then
        head=$head$piece
        piece=
    fi

    # The quote that is open, if there is one. A word of several quoted parts is left alone.
    local quote= bare=${piece//\\?/}
    case $bare in
    [\"\']*) quote=${bare:0:1} ;;
    esac
    [[ ${bare#"$quote"} != *[\"\']* ]] || return

    local found=() candidate
    IFS=$'\v' read -r -d '' -a found < <(
        IMPORTWATCH_COMPLETE=bash _CLAP_IFS=$'\v' _CLAP_COMPLETE_INDEX=$last importwatch -- "${words[@]}" 2>/dev/null
    )
    COMPREPLY=()
    head=${head//\\/}
    for candidate in "${found[@]}"; do
        # Only what follows the cut is replaced.
        [[ $candidate == "$head"* ]] || continue
        candidate=${candidate:${#head}}
        case $quote in
        \')
            candidate=${candidate//\'/\'\\\'\'}
            ;;
        \")
            candidate=${candidate//\\/\\\\}
            candidate=${candidate//\"/\\\"}
            candidate=${candidate//\$/\\\$}
            candidate=${candidate//\`/\\\`}
            # Nothing but another quote keeps bash from its history.
            candidate=${candidate//!/\"\'!\'\"}
            ;;
        *)
            [ -z "$candidate" ] || printf -v candidate %q "$candidate"
            ;;
        esac
        # The shell closes the quote, but not behind one that it takes for the end of it.
        [[ -z $quote || $candidate != *"$quote" ]] || candidate+=$quote
        COMPREPLY+=("$candidate")
    done
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o nosort -F _importwatch importwatch 2>/dev/null ||
    complete -o bashdefault -F _importwatch importwatch
