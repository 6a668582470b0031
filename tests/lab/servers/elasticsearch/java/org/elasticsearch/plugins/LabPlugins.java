package org.elasticsearch.plugins;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;

import org.elasticsearch.env.Environment;

/**
 * The one plugin of a lab node, {@link LabHttp}, taken from the class path instead of a modules/ directory.
 * It stands in this package because a loaded plugin is a type private to it.
 */
public final class LabPlugins extends PluginsService {
    private static final String DESCRIPTOR = "/META-INF/es-plugins/transport-netty4/plugin-descriptor.properties";

    private final LoadedPlugin http;

    public LabPlugins(Environment environment, PluginsLoader loader) {
        super(environment.settings(), environment.configDir(), loader);
        Plugin plugin = loadPlugin(LabHttp.class, environment.settings(), environment.configDir());
        http = new LoadedPlugin(descriptor(), plugin, LabHttp.class.getClassLoader());
    }

    @Override
    protected List<LoadedPlugin> plugins() {
        return List.of(http);
    }

    private static PluginDescriptor descriptor() {
        try (InputStream in = LabHttp.class.getResourceAsStream(DESCRIPTOR)) {
            return PluginDescriptor.readInternalDescriptorFromStream(in);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
