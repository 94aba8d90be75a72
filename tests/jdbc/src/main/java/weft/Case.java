package weft;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A method that is one test. tests/python/test_jdbc.py finds them in the sources, so that what was
 * to run is known even where there is no Java.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.METHOD)
@interface Case {
    /** The first major version of the driver that can do it. */
    int since() default 0;
}
