package weft;

/** Says why a case cannot be run here. */
final class Skipped extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Skipped(String reason) {
        super(reason);
    }
}
